/* number.h - parsing numbers. */

#ifndef NUMBER_H
#define NUMBER_H

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

/* Parses a whole number from `least` to `most`. It is of digits alone, or has one of `units`, in
 * either case, behind them, each of which is 1,024 times the one before. */
static inline bool parse_number(const char *text, const char *units, uintmax_t least,
                                uintmax_t most, uintmax_t *number)
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

#endif /* NUMBER_H */
