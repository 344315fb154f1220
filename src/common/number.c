/* number.c - see number.h. */

#include "number.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

bool parse_number(const char *text, const char *units, uintmax_t least, uintmax_t most,
                  uintmax_t *number)
{
	size_t length = strspn(text, "0123456789");
	int letter = toupper((unsigned char)text[length]);
	const char *unit = letter != '\0' ? strchr(units, letter) : NULL;
	int shift = unit != NULL ? 10 * (int)(unit - units + 1) : 0;

	errno = 0;
	*number = strtoumax(text, NULL, 10);
	if (length == 0 || errno != 0 || *number > most >> shift ||
	    text[length + (unit != NULL)] != '\0')
		return false;
	*number <<= shift;
	return *number >= least;
}
