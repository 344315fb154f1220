/* listeners.c - see listeners.h. */

#define _GNU_SOURCE /* struct timespec */

#include "listeners.h"

#include <stdio.h>

#include "listen.h"
#include "systemd.h"

int doors_open(struct doors *doors, int passed, const struct options *options, conn_pool_t *pool)
{
	int sd;

	doors->passed = passed > 0;
	doors->first = passed > 0 ? FIRST_PASSED : listen_on(options->address, options->port);
	if (doors->first == -1)
		return -1;
	doors->end = doors->first + (passed > 0 ? passed : 1);
	for (sd = doors->first; sd < doors->end; sd++) {
		if (add_conn(sd, pool) == -1) {
			perror("add_conn");
			return -1;
		}
	}
	return 0;
}

bool is_door(const struct doors *doors, int sd)
{
	return sd >= doors->first && sd < doors->end;
}

unsigned int count_clients(const struct doors *doors, const conn_pool_t *pool)
{
	return pool->nr_conns - (unsigned int)(doors->end - doors->first);
}

void doors_rest(struct doors *doors, conn_pool_t *pool)
{
	int sd;

	rest_begin(&doors->rest);
	for (sd = doors->first; sd < doors->end; sd++) {
		FD_CLR(sd, &pool->read_set);
		/* Nor is another door any better in this pass. */
		FD_CLR(sd, &pool->ready_read_set);
	}
}

void doors_end_rest_in_time(struct doors *doors, conn_pool_t *pool)
{
	int sd;

	if (!rest_end_in_time(&doors->rest))
		return;
	for (sd = doors->first; sd < doors->end; sd++)
		FD_SET(sd, &pool->read_set);
}
