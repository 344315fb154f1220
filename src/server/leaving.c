/* leaving.c - see leaving.h. */

#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE */

#include "leaving.h"

#include <sys/ioctl.h>

static time_t now_in_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

void leaving_add(struct leaving *leaving, int sd, conn_pool_t *pool)
{
	FD_CLR(sd, &pool->read_set);
	FD_SET(sd, &leaving->set);
	leaving->clients[sd].progress_at = leaving->clients[sd].checked_at = now_in_s();
	leaving->clients[sd].unacknowledged = 0;
}

bool leaving_has_stalled(struct leaving *leaving, int sd, const fd_set *writable)
{
	const time_t now = now_in_s();
	/* A reader that takes little is seldom writable, but it acknowledges what it takes. */
	int unacknowledged = leaving->clients[sd].unacknowledged;

	if (now == leaving->clients[sd].checked_at && !FD_ISSET(sd, writable))
		return false;
	leaving->clients[sd].checked_at = now;
	ioctl(sd, TIOCOUTQ, &unacknowledged);
	if (FD_ISSET(sd, writable) || unacknowledged != leaving->clients[sd].unacknowledged)
		leaving->clients[sd].progress_at = now;
	leaving->clients[sd].unacknowledged = unacknowledged;
	return now - leaving->clients[sd].progress_at >= STALLED_S;
}
