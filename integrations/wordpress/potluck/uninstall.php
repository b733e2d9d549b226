<?php
// Runs when the plugin is deleted: what it kept goes with it, on each site of a network.

if ( ! defined( 'WP_UNINSTALL_PLUGIN' ) ) {
	exit;
}

foreach ( is_multisite() ? get_sites( array( 'fields' => 'ids', 'number' => 0 ) ) : array( 0 ) as $potluck_site ) {
	if ( $potluck_site ) {
		switch_to_blog( $potluck_site );
	}
	delete_option( 'potluck_trackers' );
	delete_option( 'potluck_ice_servers' );
	if ( $potluck_site ) {
		restore_current_blog();
	}
}
