/* Prints:
 *   8 bytes in 2 messages
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <chatServerExt.h>

int main(void)
{
	chat_conn_info_t info;
	conn_pool_t pool;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1 ||
	    chat_tell(pair[0], "one", 3, &pool) == -1 ||
	    chat_tell(pair[0], "three", 5, &pool) == -1 ||
	    chat_get_info(pair[0], &pool, &info) == -1) {
		perror("info");
		return EXIT_FAILURE;
	}
	printf("%zu bytes in %zu messages\n", info.queued_bytes,
	       info.queued_msgs);
	return EXIT_SUCCESS;
}
