/* telnet.c - see telnet.h. */

#include "telnet.h"

#include <string.h>

enum { LOWEST_COMMAND = 0xEC, SE = 0xF0, SB = 0xFA, WILL, WONT, DO, DONT, IAC };

/* Moves text to where it goes, and returns the end of it there. */
static char *move_text(struct telnet *telnet, char *to, const char *from, size_t length)
{
	char *end = to + length, *nul = to;

	if (to != from)
		memmove(to, from, length);
	while (telnet->speaks && (nul = memchr(nul, '\0', (size_t)(end - nul))) != NULL) {
		if ((nul == to ? telnet->last : nul[-1]) == '\r')
			*nul = '\n';
		nul++;
	}
	if (length > 0)
		telnet->last = end[-1];
	return end;
}

/* Takes the byte after an IAC. Returns the new end of the text, to which both bytes are added where
 * they are no command. */
static char *take_command(struct telnet *telnet, unsigned char byte, char *out)
{
	const char both[] = { (char)IAC, (char)byte };

	telnet->state = TELNET_TEXT;
	if (byte < LOWEST_COMMAND || byte == IAC)
		return move_text(telnet, out, both, sizeof both);
	telnet->speaks = true;
	if (byte == SB) {
		telnet->state = TELNET_SUBNEGOTIATION;
	} else if (byte > SB) {
		telnet->state = TELNET_OPTION;
		telnet->verb = byte;
	}
	return out;
}

/* Takes an option. Writes the answer, if there is one, and returns its length. */
static size_t take_option(struct telnet *telnet, char option, char *answer)
{
	telnet->state = TELNET_TEXT;
	if (telnet->verb != DO && telnet->verb != WILL)
		return 0;
	answer[0] = (char)IAC;
	answer[1] = (char)(telnet->verb == DO ? WONT : DONT);
	answer[2] = option;
	return 3;
}

char *telnet_filter(struct telnet *telnet, char *text, size_t *length, char *answers,
                    size_t *answers_length)
{
	/* An IAC that the last text ended with may turn out to be text itself. */
	char *start = telnet->state == TELNET_COMMAND ? text - 1 : text;
	char *in = text, *out = start, *end = text + *length, *iac;

	*answers_length = 0;
	while (in < end) {
		switch (telnet->state) {
		case TELNET_TEXT:
			iac = memchr(in, IAC, (size_t)(end - in));
			out = move_text(telnet, out, in, (size_t)((iac ? iac : end) - in));
			if (iac != NULL)
				telnet->state = TELNET_COMMAND;
			in = iac != NULL ? iac + 1 : end;
			break;
		case TELNET_COMMAND:
			out = take_command(telnet, (unsigned char)*in++, out);
			break;
		case TELNET_OPTION:
			*answers_length += take_option(telnet, *in++, answers + *answers_length);
			break;
		case TELNET_SUBNEGOTIATION:
			if ((unsigned char)*in++ == IAC)
				telnet->state = TELNET_SUBNEGOTIATION_IAC;
			break;
		case TELNET_SUBNEGOTIATION_IAC:
			telnet->state = (unsigned char)*in++ == SE ? TELNET_TEXT
			                                           : TELNET_SUBNEGOTIATION;
			break;
		}
	}
	*length = (size_t)(out - start);
	return start;
}
