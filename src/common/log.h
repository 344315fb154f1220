/*
 * log.h - what a program prints: the transcript on standard output, the log on standard error.
 *
 * The program never waits for them: a reader that does not read must not stop the room. What an
 * output does not take at once is kept, as far as there is room for it, and tried again; whole
 * lines beyond that are dropped and counted. O_NONBLOCK is never set on a description that other
 * processes share.
 */

#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <syslog.h> /* the priorities */

/* Opens /dev/null in place of standard descriptors that are closed: a client's socket would get
 * their number, and the client what is printed. Returns -1 with errno set on failure. */
int log_reserve(void);

/* Call it before all below, and with SIGPIPE, SIGTTOU, SIGXFSZ and SIGCHLD ignored. `quiet`:
 * transcript() prints nothing. From here on exit() gives the readers 0.3 s for what is left.
 * Returns -1 with errno set on failure. */
int log_open(bool quiet);

/* Prints to the transcript, as printf() does. The text ends with a newline. */
__attribute__((format(printf, 1, 2))) void transcript(const char *format, ...);

/* Logs one line: the time, or for systemd's journal the priority; then the text. */
__attribute__((format(printf, 2, 3))) void log_text(int priority, const char *format, ...);

/* Logs a warning, after the client's address unless that is NULL. Of those with the same `what`
 * that follow close upon each other, the first few are logged at once, and then, each second, the
 * last one and how many more there were. */
void log_warning(const char *address, const char *what, const char *why);

/* Writes what the outputs take now, and the warnings that are due. Call it before each wait.
 * Returns whether it has to be called again for the rest. */
bool log_flush(void);

/* How many lines have been dropped. */
uint64_t log_dropped(void);

#endif /* LOG_H */
