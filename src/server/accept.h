/* accept.h - new connections. */

#ifndef ACCEPT_H
#define ACCEPT_H

#include <stdint.h>

#include "server.h"

/* Accepts those who wait at a listener, as many as one pass may. */
void accept_clients(struct server *server, int listener);

/* Takes the listeners at which newcomers have to wait out of ready_read_set, before select(). */
void watch_listeners(struct server *server, int64_t now);

#endif /* ACCEPT_H */
