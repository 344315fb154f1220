/*
 * output.h - standard output and error, for which the server never waits.
 *
 * A reader that does not read must not stop the room. What an output does not take at once is kept,
 * as far as there is room for it, and tried again; whole lines beyond that are dropped and counted.
 * O_NONBLOCK is never set on a description that other processes share.
 */

#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Opens /dev/null in place of standard descriptors that are closed: a client's socket would get
 * their number, and the client what is printed. Returns -1 with errno set on failure. */
int outputs_reserve(void);

/* Call it before all below, and with SIGPIPE, SIGTTOU, SIGXFSZ and SIGCHLD ignored. Returns -1 with
 * errno set on failure. */
int outputs_open(void);

/* Appends whole lines to STDOUT_FILENO or STDERR_FILENO. */
void output_write(int fd, const char *text, size_t length);

/* Writes what the outputs take now. Returns whether it has to be called again for the rest. */
bool outputs_flush(void);

/* How many lines have been dropped. */
uint64_t outputs_dropped(void);

/* Gives the readers 0.3 s for what is left. */
void outputs_close(void);

#endif /* OUTPUT_H */
