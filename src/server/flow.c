/* flow.c - see flow.h. */

#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE */

#include "flow.h"

#include <time.h>

#include "fdset_next.h"

/* Who has said this much while others were behind is no mere chatterer. */
enum { MUCH = 64 * 1024 };

/* What is said to a reader who is behind before anybody waits: few milliseconds' worth. */
enum { ENOUGH = 256 * 1024 };

/* What is said while a reader takes nothing, where more than MOST bytes may be queued, or any number. */
enum { PLENTY = 4 * 1024 * 1024, MOST = 1024 * 1024 * 1024 };

static int64_t now_in_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void flow_set_limit(struct flow *flow, size_t max_queue)
{
	flow->most = max_queue == 0 || max_queue / 4 > ENOUGH ? ENOUGH : max_queue / 4;
	flow->meanwhile = max_queue == 0 || max_queue > MOST ? PLENTY : max_queue / 2;
}

void flow_join(struct flow *flow, int sd)
{
	flow->clients[sd] = (struct flow_client){ .said = 0 };
	FD_CLR(sd, &flow->talkers);
	FD_CLR(sd, &flow->behind);
}

void flow_heard(struct flow *flow, int sd, size_t length)
{
	struct flow_client *client = &flow->clients[sd];

	flow->said += length;
	if (client->period != flow->period) {
		client->period = flow->period;
		client->said = 0;
	}
	client->said += length;
	if (client->said >= MUCH)
		FD_SET(sd, &flow->talkers);
}

/* Whether a reader who is behind has to be waited for now. */
static bool is_awaited(const struct flow *flow, struct flow_client *client, int64_t now)
{
	uint64_t said = flow->said - client->behind_from;
	int64_t idle = now - client->took_at;

	if (said < flow->most)
		return false;
	if (client->awaited_from == 0)
		client->awaited_from = now;
	if (idle >= CATCH_UP_MS || now - client->awaited_from >= WAIT_MS)
		return false;
	return said - flow->most >= flow->meanwhile * (uint64_t)idle / CATCH_UP_MS;
}

void flow_look(struct flow *flow, const fd_set *behind, const fd_set *writable)
{
	int sd = next_in(behind, 0);
	int64_t now;

	flow->waiting = false;
	if (sd == FD_SETSIZE) {
		flow->period++;
		FD_ZERO(&flow->talkers);
	} else {
		for (now = now_in_ms(); sd < FD_SETSIZE; sd = next_in(behind, sd + 1)) {
			struct flow_client *client = &flow->clients[sd];

			if (!FD_ISSET(sd, &flow->behind)) {
				client->behind_from = flow->said;
				client->awaited_from = 0;
				client->took_at = now;
			} else if (FD_ISSET(sd, writable)) {
				client->took_at = now;
			}
			if (is_awaited(flow, client, now))
				flow->waiting = true;
		}
	}
	flow->behind = *behind;
}

bool flow_hold_back(const struct flow *flow, fd_set *readable)
{
	int sd;

	if (!flow->waiting)
		return false;
	for (sd = next_in(&flow->talkers, 0); sd < FD_SETSIZE; sd = next_in(&flow->talkers, sd + 1))
		FD_CLR(sd, readable);
	return true;
}
