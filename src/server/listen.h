/* listen.h - listening sockets, and the addresses of sockets. */

#ifndef LISTEN_H
#define LISTEN_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Room for the longest address: of IPv6, with a zone and a port. */
enum { ADDRESS_SIZE = 96 };

/* The kernel has no TCP_USER_TIMEOUT, and set_up_tcp() does without it. */
extern bool user_timeout_is_missing;

/* Writes ADDRESS:PORT, an address of IPv6 in brackets. A client of IPv4 appears as one also where
 * its listener is of IPv6. */
void format_address(const struct sockaddr_storage *address, char text[ADDRESS_SIZE]);

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

#endif /* LISTEN_H */
