/* chat - the smallest chat server: what one client says, all others hear, in whole lines. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chatServerExt.h"

static void give_up(const char *why)
{
	perror(why);
	exit(EXIT_FAILURE);
}

static int listen_on(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		                       .sin_port = htons((unsigned short)port) };
	/* Non-blocking: a newcomer may have left again before it is accepted. */
	int sd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1;

	if (sd == -1 || setsockopt(sd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == -1 ||
	    bind(sd, (struct sockaddr *)&address, sizeof address) == -1 ||
	    listen(sd, SOMAXCONN) == -1)
		give_up("cannot listen");
	return sd;
}

static void accept_client(int listener, conn_pool_t *pool)
{
	int sd = accept(listener, NULL, NULL);

	if (sd == -1 && errno == EMFILE)
		FD_CLR(listener, &pool->read_set); /* nobody gets in until somebody leaves */
	else if (sd != -1 && add_conn(sd, pool) == -1)
		close(sd);
}

static void read_client(int sd, int listener, conn_pool_t *pool)
{
	char buffer[BUFFER_SIZE];
	int len = (int)read(sd, buffer, sizeof buffer);

	/* At the end, with 0, what came without a newline is passed on as well. */
	if (len < 0 || chat_feed(sd, buffer, len, pool) == -1 || len == 0) {
		remove_conn(sd, pool);
		FD_SET(listener, &pool->read_set);
	}
}

int main(int argc, char *argv[])
{
	int port = argc == 2 ? atoi(argv[1]) : 0, listener, sd;
	conn_pool_t pool;

	if (port < 1 || port > 65535) {
		fputs("usage: chat PORT\n", stderr);
		return EXIT_FAILURE;
	}
	listener = listen_on(port);
	init_pool(&pool);
	if (add_conn(listener, &pool) == -1)
		give_up("add_conn");
	for (;;) {
		pool.ready_read_set = pool.read_set;
		pool.ready_write_set = pool.write_set;
		if (select(pool.maxfd + 1, &pool.ready_read_set, &pool.ready_write_set, NULL,
		           NULL) == -1)
			give_up("select");
		for (sd = 0; sd <= pool.maxfd; sd++) {
			/* If this fails, the peer is gone; the next read() reports it. */
			if (FD_ISSET(sd, &pool.ready_write_set))
				write_msg(sd, &pool);
			if (!FD_ISSET(sd, &pool.ready_read_set))
				continue;
			if (sd == listener)
				accept_client(listener, &pool);
			else
				read_client(sd, listener, &pool);
		}
	}
}
