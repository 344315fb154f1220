/* telnet.c - see telnet.h. */

#include "telnet.h"

#include <string.h>

const char TELNET_INTERRUPT[TELNET_INTERRUPT_SIZE] = { '\xff', '\xf4', '\xff', '\xfd', '\x06' };
const char TELNET_ANSWER[TELNET_ANSWER_SIZE] = { '\xff', '\xfc', '\x06' };

size_t take_interrupts(char *text, size_t length, size_t *held, int *count)
{
	size_t in = 0, out = 0;

	*held = 0;
	while (in < length) {
		const char *start = memchr(text + in, TELNET_INTERRUPT[0], length - in);
		size_t plain = (start != NULL ? (size_t)(start - text) : length) - in;
		size_t match;

		memmove(text + out, text + in, plain);
		out += plain;
		in += plain;
		match = length - in < sizeof TELNET_INTERRUPT ? length - in
		                                              : sizeof TELNET_INTERRUPT;
		if (match == 0)
			break;
		if (memcmp(text + in, TELNET_INTERRUPT, match) != 0) {
			text[out++] = text[in++];
			continue;
		}
		in += match;
		if (match == sizeof TELNET_INTERRUPT)
			(*count)++;
		else
			*held = match;
	}
	return out;
}
