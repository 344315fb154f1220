/* stamp.c - see stamp.h. */

#include "stamp.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void stamp_format(const struct stamp *stamp, char text[STAMP_SIZE])
{
	snprintf(text, STAMP_SIZE, "%" PRIu64 ".%" PRIu64 ".%" PRIu64, stamp->epoch, stamp->seq,
	         stamp->lines);
}

bool stamp_parse(const char *text, struct stamp *stamp)
{
	uint64_t *const numbers[] = { &stamp->epoch, &stamp->seq, &stamp->lines };
	char *end;
	int at;

	for (at = 0; at < 3; at++) {
		if (!isdigit((unsigned char)*text))
			return false;
		errno = 0;
		*numbers[at] = strtoumax(text, &end, 10);
		if (errno != 0 || *end != (at < 2 ? '.' : '\0'))
			return false;
		text = end + 1;
	}
	return true;
}
