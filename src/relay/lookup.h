/*
 * lookup.h - addresses, looked up once, at the start: a name server that does not answer would
 * stop the relay, and while it does not read, the server holds others back.
 */

#ifndef LOOKUP_H
#define LOOKUP_H

#include <netdb.h>
#include <stdbool.h>

struct addresses {
	const char *host, *port;
	struct addrinfo *first;
	const struct addrinfo *next;  /* the one to try next */
	const struct addrinfo *taken; /* the one that was tried last */
};

/* Looks up host and port. On failure prints why on standard error and returns -1. */
int look_up(struct addresses *addresses);

/* Returns the address to try, and goes on to the next. */
const struct addrinfo *addresses_take(struct addresses *addresses);

/* The address that was taken last is the next one, too: it has worked, as others may never do. */
void addresses_retry(struct addresses *addresses);

/* Whether the last address of the list has been tried, and the first is next. */
bool addresses_all_tried(const struct addresses *addresses);

/* From now on every call of getaddrinfo() in this process takes the next of these addresses and
 * looks nothing up; for NULL it fails. libmosquitto calls it at each connect. It needs to have the
 * host's name, and not an address, to compare it with the broker's certificate. */
void override_getaddrinfo(struct addresses *addresses);

#endif /* LOOKUP_H */
