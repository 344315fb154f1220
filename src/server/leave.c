/* leave.c - see leave.h. */

#define _GNU_SOURCE /* clock_gettime */

#include "leave.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../common/clock.h"
#include "../common/fdset_next.h"
#include "../common/log.h"

void end_last_line(struct server *server, int sd)
{
	const struct client *client = &server->clients[sd];
	size_t length = client->printable.held_length;
	char end[PRINTABLE_HELD + 1];

	memset(end, '?', length);
	if (!server->options.raw && (client->in_line || length > 0))
		end[length++] = '\n';
	server->flow.bytes += client->unfinished + length;
	if (chat_feed(sd, end, (int)length, &server->pool) == -1)
		log_warning(client->address, "its last line is lost", strerror(errno));
}

void remove_client(struct server *server, int sd)
{
	stats_departed(&server->stats, sd, &server->pool);
	FD_CLR(sd, &server->leaving);
	if (server->options.verbose)
		log_text(LOG_INFO, "%s: left", server->clients[sd].address);
	transcript("removing connection with sd %d \n", sd);
	remove_conn(sd, &server->pool);
}

/* Whether the library has cut the connection off, and not the client. If so, logs and counts it. */
static bool was_cut_off(struct server *server, int sd)
{
	chat_conn_info_t info;

	if (chat_get_info(sd, &server->pool, &info) == -1 || info.cut_off == 0)
		return false;
	server->stats.cut_off++;
	log_warning(server->clients[sd].address, "cut off", "too far behind the others");
	return true;
}

void end_client(struct server *server, int sd, ssize_t count, int error)
{
	struct client *client = &server->clients[sd];
	const bool is_cut_off = was_cut_off(server, sd);

	if (!is_cut_off && count == 0)
		transcript("Connection closed for sd %d\n", sd);
	else if (!is_cut_off && (error != ECONNRESET || client->has_spoken))
		log_warning(client->address, "read", strerror(error));
	end_last_line(server, sd);
	if (is_cut_off || count != 0) {
		remove_client(server, sd);
		return;
	}
	FD_CLR(sd, &server->pool.read_set);
	FD_SET(sd, &server->leaving);
	client->progress_at = now_us();
}

/* Whether a client for which something is queued has taken nothing for STALLED_S seconds. It may
 * take so little that it is never writable, but it acknowledges what it takes. */
static bool has_stalled(struct server *server, int sd)
{
	struct client *client = &server->clients[sd];
	chat_conn_info_t info = { .sent_bytes = 0 };
	int unacknowledged = 0;
	uint64_t taken;

	chat_get_info(sd, &server->pool, &info);
	ioctl(sd, TIOCOUTQ, &unacknowledged);
	taken = info.sent_bytes - (uint64_t)unacknowledged;
	if (client->taken != taken)
		client->progress_at = now_us();
	client->taken = taken;
	return now_us() - client->progress_at >= STALLED_S * 1000000LL;
}

void remove_leaving(struct server *server)
{
	const bool check = now_us() >= server->stall_check_at;
	int sd;

	/* A check counts the queue message by message, which is too much for every pass. */
	if (check)
		server->stall_check_at = now_us() + STALLED_S * 1000000LL / 9;
	FOR_EACH_FD (sd, &server->leaving) {
		if (FD_ISSET(sd, &server->pool.write_set)) {
			if (!check || !has_stalled(server, sd))
				continue;
			log_warning(server->clients[sd].address, "closed", strerror(ETIMEDOUT));
		} else if (!was_cut_off(server, sd) && server->batch_pending) {
			continue; /* a part of the batch may be for it */
		}
		remove_client(server, sd);
	}
}
