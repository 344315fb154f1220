/* telnet.h - telnet's interrupt, which the server answers and does not relay. */

#ifndef TELNET_H
#define TELNET_H

#include <stddef.h>

enum { TELNET_INTERRUPT_SIZE = 5, TELNET_ANSWER_SIZE = 3 };

/* On an interrupt telnet sends IAC IP IAC DO TIMING-MARK, and shows nothing more until it gets the
 * answer IAC WONT TIMING-MARK. */
extern const char TELNET_INTERRUPT[TELNET_INTERRUPT_SIZE];
extern const char TELNET_ANSWER[TELNET_ANSWER_SIZE];

/* Removes the interrupts from the text, adds their number to *count, and returns the length of what
 * is left. Bytes at the end that may start another interrupt are removed as well, and *held set to
 * their number: put them in front of the text that comes next. */
size_t take_interrupts(char *text, size_t length, size_t *held, int *count);

#endif /* TELNET_H */
