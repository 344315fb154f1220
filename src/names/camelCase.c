/* camelCase.c - see core.h. */

#include "core.h"

int initPool(conn_pool_t *pool)
{
	return chat_core_init_pool(pool);
}

int addConn(int sd, conn_pool_t *pool)
{
	return chat_core_add_conn(sd, pool);
}

int removeConn(int sd, conn_pool_t *pool)
{
	return chat_core_remove_conn(sd, pool);
}

int addMsg(int sd, char *buffer, int len, conn_pool_t *pool)
{
	return chat_core_addMsg(sd, buffer, len, pool);
}

int writeToClient(int sd, conn_pool_t *pool)
{
	return chat_core_write_msg(sd, pool);
}
