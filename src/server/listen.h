/* listen.h - opening a listening socket. */

#ifndef LISTEN_H
#define LISTEN_H

/* Returns a non-blocking listening socket on the port of this address, or of every one for NULL.
 * set_up_tcp() has been called on it. On failure prints the reason on standard error and returns
 * -1. */
int listen_on(const char *address, const char *port);

/* Sets TCP_NODELAY and keepalive. Sockets accepted from a listener inherit both if their connection
 * came after this call. Returns -1 with errno set on failure. */
int set_up_tcp(int sd);

#endif /* LISTEN_H */
