/* Prints:
 *   disconnected, queued: 0 bytes
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <chatServerExt.h>

int main(void)
{
	char text[1000] = "";
	chat_conn_info_t info;
	conn_pool_t pool;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == -1 ||
	    init_pool(&pool) == -1 || add_conn(pair[0], &pool) == -1) {
		perror("add_conn");
		return EXIT_FAILURE;
	}
	chat_set_max_queue(100000);
	/* Nobody reads from pair[1]. */
	do {
		if (add_msg(0, text, sizeof text, &pool) == -1 ||
		    chat_get_info(pair[0], &pool, &info) == -1)
			return EXIT_FAILURE;
	} while (info.cut_off == 0);
	printf("disconnected, queued: %zu bytes\n", info.queued_bytes);
	return EXIT_SUCCESS;
}
