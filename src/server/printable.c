/* printable.c - see printable.h. */

#include "printable.h"

#include <stdbool.h>
#include <string.h>

#include "../common/protocol.h"

/* How many bytes the character at the start of the text has: 0 where they are no UTF-8, and -1
 * where the text ends within the character. The second byte's range depends on the first: there are
 * no overlong forms, no surrogates, and nothing above U+10FFFF. */
static int character_size(const unsigned char *text, size_t length)
{
	const int first = text[0];
	const int low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
	const int high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
	const int size = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
	int at;

	if (first < 0x80)
		return 1;
	if (first < 0xC2 || first > 0xF4)
		return 0;
	for (at = 1; at < size; at++) {
		if ((size_t)at == length)
			return -1;
		if (at == 1 ? text[1] < low || text[1] > high : (text[at] & 0xC0) != 0x80)
			return 0;
	}
	return size;
}

/* Whether a character is one of the control characters that are not relayed: C0, DEL or C1. */
static bool is_control(const unsigned char *text, int size)
{
	if (size == 2)
		return text[0] == 0xC2 && text[1] < 0xA0;
	return text[0] == 0x7F ||
	       (text[0] < 0x20 && text[0] != '\t' && text[0] != '\r' && text[0] != '\n');
}

/* Adds a character to the text, or a question mark. Returns the new end of the text. */
static char *put(struct printable *printable, char *out, const char *character, int size)
{
	const bool is_kept = size > 0 && !is_control((const unsigned char *)character, size) &&
	                     printable->position + (size_t)size <= LINE_PIECE;
	const size_t length = is_kept ? (size_t)size : 1;

	memmove(out, is_kept ? character : "?", length);
	printable->position = *out == '\n' ? 0 : (printable->position + length) % LINE_PIECE;
	return out + length;
}

char *printable_filter(struct printable *printable, char *text, size_t *length)
{
	char *start = text - printable->held_length;
	char *in = start, *out = start, *end = text + *length;

	memcpy(start, printable->held, printable->held_length);
	printable->held_length = 0;
	while (in < end) {
		int size;

		/* Most text is that plain, and this is many times as fast. */
		if (*in >= ' ' && *in < 0x7F) {
			*out++ = *in++;
			printable->position = (printable->position + 1) % LINE_PIECE;
			continue;
		}
		size = character_size((const unsigned char *)in, (size_t)(end - in));
		if (size == -1) {
			printable->held_length = (size_t)(end - in);
			memcpy(printable->held, in, printable->held_length);
			break;
		}
		out = put(printable, out, in, size);
		in += size > 0 ? size : 1;
	}
	*length = (size_t)(out - start);
	return start;
}
