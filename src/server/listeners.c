/* listeners.c - see listeners.h. */

#define _GNU_SOURCE /* struct timespec */

#include "listeners.h"

#include <stdio.h>

#include "listen.h"
#include "systemd.h"

int listeners_open(struct listeners *listeners, int inherited, const struct options *options,
                   conn_pool_t *pool)
{
	int sd;

	listeners->inherited = inherited > 0;
	listeners->first = inherited > 0 ? FIRST_INHERITED
	                                 : listen_on(options->address, options->port);
	if (listeners->first == -1)
		return -1;
	listeners->end = listeners->first + (inherited > 0 ? inherited : 1);
	for (sd = listeners->first; sd < listeners->end; sd++) {
		if (add_conn(sd, pool) == -1) {
			perror("add_conn");
			return -1;
		}
	}
	return 0;
}

bool is_listener(const struct listeners *listeners, int sd)
{
	return sd >= listeners->first && sd < listeners->end;
}

unsigned int count_clients(const struct listeners *listeners, const conn_pool_t *pool)
{
	return pool->nr_conns - (unsigned int)(listeners->end - listeners->first);
}

void listeners_pause(struct listeners *listeners, conn_pool_t *pool)
{
	int sd;

	backoff_start(&listeners->backoff);
	for (sd = listeners->first; sd < listeners->end; sd++) {
		FD_CLR(sd, &pool->read_set);
		/* The other listeners would fail in this pass as well. */
		FD_CLR(sd, &pool->ready_read_set);
	}
}

void listeners_resume(struct listeners *listeners, conn_pool_t *pool)
{
	int sd;

	if (!backoff_expired(&listeners->backoff))
		return;
	for (sd = listeners->first; sd < listeners->end; sd++)
		FD_SET(sd, &pool->read_set);
}
