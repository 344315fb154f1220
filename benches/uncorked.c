/*
 * uncorked.c - makes of the server one such as existing programs are: compiled with chat_cork,
 * chat_uncork and read renamed to these, it has a copy of every message in every queue, and reads
 * as much at a time as the header's BUFFER_SIZE says.
 */

#include <sys/socket.h>
#include <unistd.h>

#include "chatServerExt.h"

/* The header's declarations are renamed, too. */
int chat_cork(conn_pool_t *pool)
{
	(void)pool;
	return 0;
}

int chat_uncork(conn_pool_t *pool)
{
	(void)pool;
	return 0;
}

ssize_t read(int sd, void *buffer, size_t size)
{
	return recv(sd, buffer, size < BUFFER_SIZE ? size : BUFFER_SIZE, 0);
}
