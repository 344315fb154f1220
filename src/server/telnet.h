/* telnet.h - the one thing of telnet's that the server must not just relay. */

#ifndef TELNET_H
#define TELNET_H

#include <stddef.h>

enum { TELNET_INTERRUPT_SIZE = 5, TELNET_ANSWER_SIZE = 3 };

/* What telnet sends when its user interrupts (IAC IP IAC DO TIMING-MARK), and the answer it then
 * waits for before it shows anything more (IAC WONT TIMING-MARK). */
extern const char TELNET_INTERRUPT[TELNET_INTERRUPT_SIZE];
extern const char TELNET_ANSWER[TELNET_ANSWER_SIZE];

/* Takes the interrupts out of the text and adds their number to *count. *held becomes how many
 * bytes at the end may be the start of another one: they are taken out, too, and belong in front
 * of the text that comes next. Returns the length of what is left. */
size_t take_interrupts(char *text, size_t length, size_t *held, int *count);

#endif /* TELNET_H */
