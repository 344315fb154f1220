/* A program of somebody who has installed the library: one client says something, the other one
 * hears it. */

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chatServer.h>
#include <chatServerExt.h>

int main(void)
{
	char hello[] = "hello";
	char heard[sizeof hello] = "";
	conn_pool_t pool;
	int speaker[2], listener[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, speaker) == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, listener) == -1)
		return 1;
	chat_set_quiet(1);
	if (init_pool(&pool) == -1 || add_conn(speaker[0], &pool) == -1 ||
	    add_conn(listener[0], &pool) == -1)
		return 2;
	if (add_msg(speaker[0], hello, sizeof hello, &pool) == -1 ||
	    write_msg(listener[0], &pool) == -1)
		return 3;
	if (read(listener[1], heard, sizeof heard) != sizeof heard || strcmp(heard, hello) != 0)
		return 4;
	while (pool.conn_head != NULL)
		remove_conn(pool.conn_head->fd, &pool);
	printf("%s with %s\n", heard, chat_version());
	return 0;
}
