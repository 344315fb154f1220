/* log.h - what the server prints: the transcript on standard output, the log on standard error. */

#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h> /* the priorities */

/* Opens the outputs. `quiet`: transcript() prints nothing; `verbose`: log_visit() prints something.
 * Call it before the others. Returns -1 with errno set on failure. */
int log_open(bool quiet, bool verbose);

/* Prints to the transcript, as printf() does. The text ends with a newline. */
__attribute__((format(printf, 1, 2))) void transcript(const char *format, ...);

/* Logs one line: the time, or for systemd's journal the priority, since the journal adds the time
 * itself; then the text. */
__attribute__((format(printf, 2, 3))) void log_text(int priority, const char *format, ...);

/* Logs that a client has come or gone. */
void log_visit(const char *address, const char *what);

/* Logs a warning, after the client's address unless that is NULL. Of those with the same `what`
 * that follow close upon each other, the first few are logged at once: see log_summarize(). */
void log_warning(const char *address, const char *what, const char *why);

/* Once a second, or `at_once`, logs the last of the warnings that were held back, and how many more
 * there were. Returns whether some are still held back. */
bool log_summarize(bool at_once);

#endif /* LOG_H */
