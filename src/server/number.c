/* number.c - see number.h. */

#include "number.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* Parses the digits that the text begins with. Returns what follows them, or NULL on failure. */
static const char *parse_digits(const char *text, uintmax_t *number)
{
	size_t length = strspn(text, "0123456789");

	errno = 0;
	*number = strtoumax(text, NULL, 10);
	return length > 0 && errno == 0 ? text + length : NULL;
}

bool parse_number(const char *text, uintmax_t least, uintmax_t most, uintmax_t *number)
{
	const char *end = parse_digits(text, number);

	return end != NULL && *end == '\0' && *number >= least && *number <= most;
}

bool parse_size(const char *text, size_t *size)
{
	static const char units[] = "KkMmGg";
	uintmax_t number, unit = 1;
	const char *end = parse_digits(text, &number);
	const char *found;

	if (end == NULL)
		return false;
	if (*end != '\0') {
		found = strchr(units, *end++);
		if (found == NULL || *end != '\0')
			return false;
		unit <<= 10 * ((found - units) / 2 + 1);
	}
	if (number > SIZE_MAX / unit)
		return false;
	*size = (size_t)(number * unit);
	return true;
}
