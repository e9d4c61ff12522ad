// SPDX-License-Identifier: GPL-2.0
/* A kernel module that is in no kernel, for the builder stage of an image. */
#include <linux/module.h>

static char *greeting = "built against the image's kernel";
module_param(greeting, charp, 0444);
MODULE_PARM_DESC(greeting, "what it says when it is loaded");

static int __init ltsp_e2e_init(void)
{
	pr_info("%s\n", greeting);
	return 0;
}

static void __exit ltsp_e2e_exit(void)
{
}

module_init(ltsp_e2e_init);
module_exit(ltsp_e2e_exit);
MODULE_DESCRIPTION("Says that it was loaded");
MODULE_LICENSE("GPL");
