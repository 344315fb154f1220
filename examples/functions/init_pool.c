/* Prints:
 *   0 connections, maxfd 0
 */
#include <stdio.h>
#include <stdlib.h>

#include <chatServer.h>

int main(void)
{
	conn_pool_t *pool = malloc(sizeof *pool);

	/* A malloc that has failed is noticed here, too. */
	if (init_pool(pool) == -1) {
		perror("init_pool");
		return EXIT_FAILURE;
	}
	printf("%u connections, maxfd %d\n", pool->nr_conns, pool->maxfd);
	free(pool);
	return EXIT_SUCCESS;
}
