/* log.h - what the server prints: the transcript on standard output, the log on standard error. */

#ifndef LOG_H
#define LOG_H

#include <sys/socket.h>
#include <syslog.h> /* the priorities */

/* Makes sure that nothing printed goes to a client, whose socket would have the number of a
 * standard descriptor that was closed at the start, and that nobody who does not read transcript
 * or log can stop the server: what a pipe or terminal does not take is dropped. -1 with errno
 * set when there is no way. */
int prepare_output(void);

/* Ends the transcript before it begins. */
void be_quiet(void);

/* Prints to the transcript, in the manner of printf. */
__attribute__((format(printf, 1, 2))) void transcript(const char *format, ...);

/* Logs one line, with the time and, unless it is NULL, the address of the peer. The journal of
 * systemd has the time by itself; it is given the priority. */
void log_line(int priority, const struct sockaddr *peer, socklen_t length, const char *what,
              const char *why);

#endif /* LOG_H */
