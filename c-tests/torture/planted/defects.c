/* defects.c - defects of a library, one for each value of PLANTED, placed between the torture
 * and the library. The torture must find each, which shows that it works. */

#include <errno.h>
#include <stdlib.h>
#include <sys/types.h>

#include "chatServer.h"

enum { FAILURE_HIDDEN = 1, BLOCK_LOST, HALF_DONE, BYTE_LOST };

/* The torture calls the functions below by these names. */
#undef __real_add_msg
#undef __real_write_msg

/* Keeps the compiler from removing the allocation. */
static void keep(void *block)
{
	__asm__ volatile("" : : "r"(block) : "memory");
}

int __real_add_msg(int sd, char *buffer, int len, conn_pool_t *pool);
int planted_add_msg(int sd, char *buffer, int len, conn_pool_t *pool);
int planted_add_msg(int sd, char *buffer, int len, conn_pool_t *pool)
{
	int outcome = __real_add_msg(sd, buffer, len, pool);

	if (outcome == 0 || errno != ENOMEM)
		return outcome;
	if (PLANTED == FAILURE_HIDDEN)
		return 0;
	if (PLANTED == BLOCK_LOST)
		keep(malloc(1));
	if (PLANTED == HALF_DONE)
		FD_SET(pool->conn_head->fd, &pool->write_set);
	errno = ENOMEM;
	return outcome;
}

int __real_write_msg(int sd, conn_pool_t *pool);
int planted_write_msg(int sd, conn_pool_t *pool);
int planted_write_msg(int sd, conn_pool_t *pool)
{
	int outcome = __real_write_msg(sd, pool);
	conn_t *conn = pool->conn_head;

	for (; PLANTED == BYTE_LOST && conn != NULL; conn = conn->next) {
		if (conn->fd == sd && conn->write_msg_head != NULL)
			conn->write_msg_head->size--;
	}
	return outcome;
}
