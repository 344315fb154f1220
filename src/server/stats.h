/* stats.h - traffic counters, logged on SIGUSR1. */

#ifndef STATS_H
#define STATS_H

#include <stddef.h>
#include <stdint.h>

#include "chatServer.h"

struct stats {
	int64_t started_at; /* by now_us() */
	uint64_t messages_in;
	uint64_t bytes_in;
	uint64_t messages_out;
	uint64_t sent_to_departed; /* bytes sent to clients that have left */
	uint64_t cut_off;
	uint64_t refused;
};

/* Counts the lines in what a client sent, and their copies to so many recipients. */
void stats_received(struct stats *stats, const char *text, size_t length, unsigned int recipients);

/* Keeps the count of what a client was sent. Call it before the client is removed. */
void stats_departed(struct stats *stats, int sd, conn_pool_t *pool);

/* Logs one line: the counters, and the number of clients. */
void stats_log(const struct stats *stats, conn_pool_t *pool, unsigned int clients);

#endif /* STATS_H */
