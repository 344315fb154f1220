/* listen.h - opening listening sockets. */

#ifndef LISTEN_H
#define LISTEN_H

#include <netdb.h>
#include <stdbool.h>

/* Finds the addresses of a name, or for NULL the wildcard address: that of IPv6, which takes in
 * IPv4 too, unless the kernel has IPv4 only. freeaddrinfo() releases them. On failure returns NULL
 * and sets *why. */
struct addrinfo *look_up(const char *name, const char *port, const char **why);

/* Returns a non-blocking listening socket at this one address, or -1 with errno set. set_up_tcp()
 * has been called on it. `v6_only`: the wildcard address of IPv6 does not take in IPv4. */
int listen_at(const struct addrinfo *address, bool v6_only);

/* Sets TCP_NODELAY and keepalive. Sockets accepted from a listener inherit both if their connection
 * came after this call. Returns -1 with errno set on failure. */
int set_up_tcp(int sd);

/* Whether set_up_tcp() had to do without TCP_USER_TIMEOUT, which the kernel lacks. */
bool user_timeout_is_missing(void);

#endif /* LISTEN_H */
