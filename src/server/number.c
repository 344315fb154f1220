/* number.c - see number.h. */

#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

bool parse_number(const char *text, uintmax_t least, uintmax_t most, uintmax_t *number)
{
	size_t length = strspn(text, "0123456789");

	errno = 0;
	*number = strtoumax(text, NULL, 10);
	return length > 0 && text[length] == '\0' && errno == 0 && *number >= least &&
	       *number <= most;
}
