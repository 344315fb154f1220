/* snake_case.c - see core.h. */

#include "core.h"

int init_pool(conn_pool_t *pool)
{
	return chat_core_init_pool(pool);
}

int add_conn(int sd, conn_pool_t *pool)
{
	return chat_core_add_conn(sd, pool);
}

int remove_conn(int sd, conn_pool_t *pool)
{
	return chat_core_remove_conn(sd, pool);
}

int add_msg(int sd, char *buffer, int len, conn_pool_t *pool)
{
	return chat_core_add_msg(sd, buffer, len, pool);
}

int write_msg(int sd, conn_pool_t *pool)
{
	return chat_core_write_msg(sd, pool);
}

int write_to_client(int sd, conn_pool_t *pool)
{
	return chat_core_write_msg(sd, pool);
}
