/*
 * leaving.h - clients that have shut down sending. They are not read from any more, and are removed
 * once their queue is empty, or when they have taken nothing for a while.
 */

#ifndef LEAVING_H
#define LEAVING_H

#include <stdbool.h>
#include <sys/select.h>
#include <time.h>

#include "chatServer.h"

/* STALLED_S: how long a client that takes nothing may stay. The kernel's TCP_USER_TIMEOUT is the
 * same, but not every kernel has it.
 * STALL_CHECK_S: how long select() waits at most while somebody is leaving. */
#ifndef STALLED_S
#define STALLED_S 90
#endif
enum { STALL_CHECK_S = (STALLED_S + 8) / 9 };

struct leaving {
	fd_set set;
	struct {
		time_t progress_at; /* when it last took something */
		time_t checked_at;
		int unacknowledged; /* bytes that the kernel had for it then */
	} clients[FD_SETSIZE];
};

void leaving_add(struct leaving *leaving, int sd, conn_pool_t *pool);

/* Whether a client for which something is queued has taken nothing for STALLED_S seconds. Call it
 * in each pass. writable: the descriptors that select() reported. */
bool leaving_has_stalled(struct leaving *leaving, int sd, const fd_set *writable);

#endif /* LEAVING_H */
