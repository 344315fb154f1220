/* tcp.h - options of sockets. */

#ifndef TCP_H
#define TCP_H

#include <stdbool.h>

/* The kernel has no TCP_USER_TIMEOUT, and set_up_tcp() does without it. */
extern bool user_timeout_is_missing;

/* setsockopt() for an option that is a number. */
int set_number(int sd, int level, int option, int value);

/* Sets TCP_NODELAY, keepalive and SO_OOBINLINE. Sockets accepted from a listener inherit them if
 * their connection came after this call. Returns -1 with errno set on failure. */
int set_up_tcp(int sd);

#endif /* TCP_H */
