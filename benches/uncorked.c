/*
 * uncorked.c - makes of the server one that does not cork: compiled with chat_cork and chat_uncork
 * renamed to these, it has a copy of every message in every queue.
 */

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
