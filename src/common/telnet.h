/*
 * telnet.h - takes the commands of RFC 854 and 855 out of what a client sends, and refuses every
 * option.
 *
 * On an interrupt and the like, telnet shows nothing more until its DO TIMING-MARK is answered, so
 * each DO and each WILL gets an answer. FF followed by a byte below EC is no command and stays as
 * it is, and so does FF FF: what telnet sends when somebody types bytes that are no UTF-8.
 */

#ifndef TELNET_H
#define TELNET_H

#include <stdbool.h>
#include <stddef.h>

enum telnet_state {
	TELNET_TEXT,
	TELNET_COMMAND,           /* after IAC */
	TELNET_OPTION,            /* after IAC and one of WILL, WONT, DO, DONT */
	TELNET_SUBNEGOTIATION,    /* after IAC SB */
	TELNET_SUBNEGOTIATION_IAC /* after an IAC in there */
};

/* One client's state. All zero at its start. */
struct telnet {
	enum telnet_state state;
	unsigned char verb; /* which one precedes the option */
	bool speaks;        /* the client has sent a command, so CR NUL ends a line */
	char last;          /* the last byte of text */
};

/* The room that must be in front of the text, and how much longer the answers may be than it. */
enum { TELNET_HEADROOM = 1, TELNET_ANSWERS_EXTRA = 2 };

/* Takes the commands out of the text, in place, and turns CR NUL into CR LF where the client speaks
 * telnet. A command may continue in the next call's text. Returns the start of what is left and
 * sets *length. Writes the answers, and sets *answers_length. */
char *telnet_filter(struct telnet *telnet, char *text, size_t *length, char *answers,
                    size_t *answers_length);

#endif /* TELNET_H */
