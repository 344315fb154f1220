/* log.h - what the server prints: the transcript on standard output, the log on standard error. */

#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <syslog.h> /* the priorities */

/* Call it once, after outputs_reserve() and before anything is printed. Returns -1 with errno set
 * on failure. */
int log_open(void);

/* Makes transcript() print nothing. */
void transcript_disable(void);

/* Makes log_visit() print something. */
void log_visits_enable(void);

/* Prints to the transcript, as printf() does. The text ends with a newline. */
__attribute__((format(printf, 1, 2))) void transcript(const char *format, ...);

/* Prints a line on standard error as it is: why the server cannot start. */
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);

/* Logs one line: the time, or for systemd's journal the priority, since the journal adds the time
 * itself; then the text. */
__attribute__((format(printf, 2, 3))) void log_text(int priority, const char *format, ...);

/* Logs that a client has come or gone. */
void log_visit(const char *address, const char *what);

/* Logs a warning, after the client's address unless that is NULL. Of those with the same `what`
 * that follow close upon each other, the first few are logged at once: see log_summarize(). */
void log_warning(const char *address, const char *what, const char *why);

/* Logs the last of the warnings that were held back for a second, and how many more there were; all
 * of them `at_once` at the end. Returns whether some are still held back. */
bool log_summarize(bool at_once);

#endif /* LOG_H */
