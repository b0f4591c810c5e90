"""Pages for people, served by the same application: written on the server, without a front-end build."""
