/* accept.c - see accept.h. */

#define _GNU_SOURCE /* accept4, clock_gettime */

#include "accept.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../common/clock.h"
#include "../common/fdset_next.h"
#include "../common/log.h"
#include "../common/protocol.h"
#include "../common/tcp.h"

/* Connections accepted in one pass: enough for a rush, and the clients do not have to wait. */
enum { ACCEPTS_A_PASS = 16 };

/* Closes a new connection that the pool has not taken, for the reason in errno. */
static void refuse(struct server *server, int sd, const struct client *client)
{
	server->stats.refused++;
	log_warning(client->address, "refused",
	            errno == EMFILE ? "the room is full" : strerror(errno));
	send(sd, ROOM_IS_FULL, sizeof ROOM_IS_FULL - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(sd);
}

static void ignore_listeners(struct server *server)
{
	int sd;

	FOR_EACH_FD (sd, &server->listeners)
		FD_CLR(sd, &server->pool.ready_read_set);
}

/* Accepts nobody for the rest of this pass, and for RETRY_US. */
static void pause_listeners(struct server *server)
{
	server->accept_at = now_us() + RETRY_US;
	ignore_listeners(server);
}

/* Decides whether to retry a failed accept() at once: yes after a signal, or when the client has
 * already left. Other failures last for a while, so the listeners pause. */
static bool retry_accept(struct server *server)
{
	if (errno == EINTR || errno == ECONNABORTED)
		return true;
	if (errno == EAGAIN)
		return false;
	if (!server->accept_failing)
		log_warning(NULL, "accept", strerror(errno));
	server->accept_failing = true;
	pause_listeners(server);
	return false;
}

/* Whether the room is full, and newcomers at this listener wait: where it was passed, another
 * process may accept them meanwhile. */
static bool has_to_wait(const struct server *server, int listener)
{
	return FD_ISSET(listener, &server->inherited) &&
	       count_clients(server) >= server->options.max_clients;
}

/* Accepts one connection. Returns false when there is no other to accept. */
static bool accept_client(struct server *server, int listener)
{
	struct client client = { .has_spoken = false };
	struct sockaddr_storage peer = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof peer;
	int sd = accept4(listener, (struct sockaddr *)&peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (sd == -1)
		return retry_accept(server);
	server->accept_failing = false;
	format_address(&peer, client.address);
	errno = EMFILE;
	if (count_clients(server) >= server->options.max_clients ||
	    add_conn(sd, &server->pool) == -1) {
		refuse(server, sd, &client);
		return true;
	}
	/* The client may have connected before the listener was set up. If this fails, the
	 * connection is broken and the first read() reports it. */
	if (server->has_inherited)
		set_up_tcp(sd);
	server->clients[sd] = client;
	flow_join(&server->flow, sd);
	transcript("New incoming connection on sd %d\n", sd);
	if (server->options.verbose)
		log_text(LOG_INFO, "%s: joined", client.address);
	if (has_to_wait(server, listener))
		log_warning(NULL, "accept", "the room is full");
	return true;
}

void accept_clients(struct server *server, int listener)
{
	bool one_at_a_time = flow_holds_newcomers(&server->flow);
	int left = one_at_a_time ? 1 : ACCEPTS_A_PASS;

	while (left > 0 && !has_to_wait(server, listener) && accept_client(server, listener))
		left--;
	if (one_at_a_time)
		pause_listeners(server);
}

void watch_listeners(struct server *server, int64_t now)
{
	int sd;

	if (now < server->accept_at)
		ignore_listeners(server);
	FOR_EACH_FD (sd, &server->inherited) {
		if (has_to_wait(server, sd))
			FD_CLR(sd, &server->pool.ready_read_set);
	}
}
