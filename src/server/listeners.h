/* listeners.h - the listening sockets, which the server pauses and resumes all together. */

#ifndef LISTENERS_H
#define LISTENERS_H

#include <stdbool.h>

#include "backoff.h"
#include "chatServer.h"
#include "options.h"

struct listeners {
	int first, end;         /* their descriptors: from `first` on and below `end` */
	bool inherited;         /* they listened before this program began */
	struct backoff backoff; /* while it is active, they are out of the read set */
};

/* Adds the listeners to the pool: the `inherited` ones, or if there are none a new one as the
 * options say. On failure it prints the reason on standard error and returns -1. */
int listeners_open(struct listeners *listeners, int inherited, const struct options *options,
                   conn_pool_t *pool);

bool is_listener(const struct listeners *listeners, int sd);

/* Returns how many connections of the pool are clients. */
unsigned int count_clients(const struct listeners *listeners, const conn_pool_t *pool);

/* Stops accepting, and starts the backoff. */
void listeners_pause(struct listeners *listeners, conn_pool_t *pool);

/* Accepts again if the backoff has expired. Call it before each wait. */
void listeners_resume(struct listeners *listeners, conn_pool_t *pool);

#endif /* LISTENERS_H */
