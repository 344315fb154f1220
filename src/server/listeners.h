/* listeners.h - the listening sockets that newcomers come to, all of them together. */

#ifndef LISTENERS_H
#define LISTENERS_H

#include <stdbool.h>

#include "backoff.h"
#include "chatServer.h"
#include "options.h"

struct doors {
	int first, end;   /* the sockets from the one and below the other */
	bool passed;      /* they listened before this program began */
	struct rest rest; /* while it is on, they are out of the read set */
};

/* Adds the doors to the pool: so many that have been passed, or where that is none a new one as the
 * options say. -1, having said why on standard error, when that cannot be. */
int doors_open(struct doors *doors, int passed, const struct options *options, conn_pool_t *pool);

bool is_door(const struct doors *doors, int sd);

/* How many clients there are in the pool beside the doors. */
unsigned int count_clients(const struct doors *doors, const conn_pool_t *pool);

/* Lets nobody in for a while. */
void doors_rest(struct doors *doors, conn_pool_t *pool);
void doors_end_rest_in_time(struct doors *doors, conn_pool_t *pool);

#endif /* LISTENERS_H */
