/*
 * output.h - standard output and error, for which the server never waits.
 *
 * A reader that does not read must not stop the room. What an output does not take at once is kept,
 * as far as there is room for it, and tried again; whole lines beyond that are dropped and counted.
 * O_NONBLOCK is never set on a description that other processes share.
 */

#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

/* Opens /dev/null in place of standard descriptors that are closed: a client's socket would get
 * their number, and the client what is printed. Returns -1 with errno set on failure. */
int outputs_reserve(void);

/* Call it before output_print(), and with SIGPIPE, SIGTTOU, SIGXFSZ and SIGCHLD ignored. Returns -1
 * with errno set on failure. From here on exit() gives the readers 0.3 s for what is left. */
int outputs_open(void);

/* Appends to STDOUT_FILENO or STDERR_FILENO, as vprintf() does. The text ends with a newline. */
void output_print(int fd, const char *format, va_list arguments);

void outputs_flush(void);

/* Adds the outputs that had no room to the set. Returns whether one has to be tried again after
 * BACKOFF_MS instead. Call it after outputs_flush(), before select(). */
bool outputs_watch(fd_set *writable);

/* How many lines have been dropped. */
uint64_t outputs_dropped(void);

#endif /* OUTPUT_H */
