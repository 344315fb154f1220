/* Prints where the C compiler puts the fields of the headers' types; see layout.rs. */

#include <stddef.h>
#include <stdio.h>

#include "chatServerExt.h"

#define TYPE(type)         printf("%s %zu %zu\n", #type, sizeof(struct type), _Alignof(struct type))
#define FIELD(type, field) printf("%s.%s %zu\n", #type, #field, offsetof(struct type, field))

int main(void)
{
	TYPE(conn_pool);
	FIELD(conn_pool, maxfd);
	FIELD(conn_pool, nready);
	FIELD(conn_pool, read_set);
	FIELD(conn_pool, ready_read_set);
	FIELD(conn_pool, write_set);
	FIELD(conn_pool, ready_write_set);
	FIELD(conn_pool, conn_head);
	FIELD(conn_pool, nr_conns);
	TYPE(msg);
	FIELD(msg, prev);
	FIELD(msg, next);
	FIELD(msg, message);
	FIELD(msg, size);
	TYPE(conn);
	FIELD(conn, prev);
	FIELD(conn, next);
	FIELD(conn, fd);
	FIELD(conn, write_msg_head);
	FIELD(conn, write_msg_tail);
	TYPE(chat_conn_info);
	FIELD(chat_conn_info, queued_bytes);
	FIELD(chat_conn_info, queued_msgs);
	FIELD(chat_conn_info, sent_bytes);
	FIELD(chat_conn_info, cut_off);
	return 0;
}
