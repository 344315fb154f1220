/* log.h - what the server prints: the transcript on standard output, the log on standard error. */

#ifndef LOG_H
#define LOG_H

#include <sys/socket.h>
#include <syslog.h> /* the priorities */

/* Opens /dev/null in place of standard descriptors that are closed: a client's socket would get
 * their number, and what is printed would go to the client. Makes pipes and terminals non-blocking,
 * so that a reader who stops cannot stop the server; what they do not take is dropped. Returns -1
 * with errno set when /dev/null cannot be opened. */
int prepare_output(void);

/* Makes transcript() print nothing. */
void transcript_disable(void);

/* Prints to the transcript, as printf() does. */
__attribute__((format(printf, 1, 2))) void transcript(const char *format, ...);

/* Logs one line, which begins with the time, or for systemd's journal with the priority, since the
 * journal adds the time itself. The peer's address follows unless it is NULL. */
void log_line(int priority, const struct sockaddr *peer, socklen_t length, const char *what,
              const char *why);

#endif /* LOG_H */
