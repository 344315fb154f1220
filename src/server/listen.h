/* listen.h - the socket that newcomers come to. */

#ifndef LISTEN_H
#define LISTEN_H

/* A non-blocking listening socket on the port, of one address or, for NULL, of every one; -1, having
 * said why on standard error, where there can be none. set_up_tcp has been called on it. */
int listen_on(const char *address, const char *port);

/* Sets what TCP passes on from a listener to every socket that is accepted from it, if it has come
 * since: TCP_NODELAY and keepalive. -1 with errno set on failure. */
int set_up_tcp(int sd);

#endif /* LISTEN_H */
