/*
 * uncorked.c - the server as existing programs are: compiled with uncorked.h in front, which
 * renames chat_cork, chat_uncork and read to these, it has a copy of every message in every queue,
 * and a pass reads no more than BYTES_A_PASS allows.
 */

#include "uncorked.h"

#include <sys/socket.h>
#include <unistd.h>

#include "chatServerExt.h"

static size_t left; /* bytes that this pass may still read */

int chat_cork(conn_pool_t *pool)
{
	left = BYTES_A_PASS / pool->nr_conns;
	return 0;
}

int chat_uncork(conn_pool_t *pool)
{
	(void)pool;
	return 0;
}

ssize_t read(int sd, void *buffer, size_t size)
{
	ssize_t count = recv(sd, buffer, size < left ? size : left, 0);

	if (count > 0)
		left -= (size_t)count;
	return count;
}
