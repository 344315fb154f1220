/* stats.h - what has gone through the server, for whoever asks. */

#ifndef STATS_H
#define STATS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "chatServer.h"

struct figures {
	time_t started_at; /* on the monotonic clock */
	uint64_t messages_in;
	uint64_t bytes_in;
	uint64_t messages_out;
	uint64_t sent_to_gone; /* bytes that those have been sent who are no longer here */
	uint64_t cut_off;
	uint64_t refused;
};

/* Begins to count the time. */
void figures_start(struct figures *figures);

/* Counts what a client has said, whom so many others hear. */
void figures_heard(struct figures *figures, const char *text, size_t length, unsigned int others);

/* Remembers what a client has been sent, who is about to be removed. */
void figures_leave(struct figures *figures, int sd, conn_pool_t *pool);

/* Logs all of it in one line. There are so many clients in the pool beside the listeners. */
void figures_log(const struct figures *figures, conn_pool_t *pool, unsigned int clients);

#endif /* STATS_H */
