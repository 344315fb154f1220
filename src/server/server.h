/* server.h - the server's state. */

#ifndef SERVER_H
#define SERVER_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/select.h>

#include "../common/telnet.h"
#include "chatServerExt.h"
#include "flow.h"
#include "listen.h"
#include "options.h"
#include "pass.h"
#include "printable.h"
#include "stats.h"

/* A socket on which a call failed for want of descriptors or memory stays ready as far as select()
 * can see. Watching it on would make the loop spin, so it is not watched for a while. */
enum { RETRY_US = 100000 };

struct client {
	char address[ADDRESS_SIZE];
	struct telnet telnet;
	struct printable printable;
	bool has_spoken;     /* it has sent something */
	size_t unfinished;   /* bytes of a line without an end, which are not relayed yet */
	bool in_line;        /* the last byte relayed was no line end */
	int refusals;        /* how often in a row it was writable and took nothing more */
	int64_t progress_at; /* when it last took something; only while it is leaving */
	uint64_t taken;      /* bytes that it had acknowledged then */
};

struct server {
	struct options options;
	conn_pool_t pool;
	fd_set listeners, inherited; /* all; those that a service manager has passed */
	bool has_inherited;
	unsigned int listener_count;
	bool accept_failing; /* accept() has failed since it last succeeded */
	bool batch_pending;  /* memory was short for a part of the batch */
	int64_t accept_at;   /* before this time the listeners are not watched */
	int64_t write_at;    /* before this time writability is not watched */
	struct pass pass;
	int next_light, next_reader; /* the descriptors at which the next pass begins to read, */
	int next_writer;             /* and to write */
	sigset_t waiting_mask;       /* the signal mask while pselect() waits */
	struct flow flow;
	fd_set leaving; /* clients that have shut down sending, and get what is left for them */
	int64_t stall_check_at; /* before this time they are not checked for progress */
	struct stats stats;
	struct client clients[FD_SETSIZE];
};

static inline unsigned int count_clients(const struct server *server)
{
	return server->pool.nr_conns - server->listener_count;
}

#endif /* SERVER_H */
