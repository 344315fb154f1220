/* line_ends.c - see line_ends.h. */

#include "line_ends.h"

/* Counts block by block, which compilers turn into vector instructions. With short lines that is
 * several times as fast as a memchr() for each of them. */
uint64_t count_line_ends(const char *text, size_t length)
{
	enum { BLOCK = 32 };
	const char *end = text + length;
	uint64_t count = 0;
	int at;

	for (; end - text >= BLOCK; text += BLOCK) {
		unsigned char found = 0;

		for (at = 0; at < BLOCK; at++)
			found = (unsigned char)(found + (text[at] == '\n'));
		count += found;
	}
	for (; text < end; text++)
		count += *text == '\n';
	return count;
}
