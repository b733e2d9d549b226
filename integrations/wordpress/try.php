<?php
// Runs the plugin with stand-ins for what it calls of WordPress, and prints what a shortcode renders as. usage: php try.php JSON-ATTRIBUTES

define( 'ABSPATH', __DIR__ );
$potluck_log = array();
function add_action( $hook, $act ) {
	$act();
}
function plugins_url( $path, $file ) {
	return 'https://blog.example/wp-content/plugins/' . basename( dirname( $file ) ) . '/' . $path;
}
function wp_register_script_module( $id, $src ) {
	global $potluck_log;
	$potluck_log['registered'] = array( $id, $src );
}
function wp_enqueue_script_module( $id ) {
	global $potluck_log;
	$potluck_log['enqueued'] = $id;
}
function add_shortcode( $name, $render ) {
	global $potluck_log;
	$potluck_log['shortcode'] = array( $name, $render );
}
function register_block_type( $folder, $options ) {
	global $potluck_log;
	$block                = json_decode( file_get_contents( $folder . '/block.json' ), true );
	$potluck_log['block'] = array( $block['name'], $options['render_callback'] );
}
function get_option( $name, $default ) {
	return 'potluck_trackers' === $name ? 'wss://blog.example/announce' : $default;
}
// As WordPress has them, as far as is needed here: addresses of other schemes become empty, quotes and brackets entities.
function esc_url_raw( $url, $protocols ) {
	$scheme = strtolower( (string) parse_url( $url, PHP_URL_SCHEME ) );
	return in_array( $scheme, $protocols, true ) ? preg_replace( '/[<>"\s]/', '', $url ) : '';
}
function esc_attr( $text ) {
	return htmlspecialchars( $text, ENT_QUOTES, 'UTF-8' );
}

require __DIR__ . '/potluck/potluck.php';
$attributes = json_decode( $argv[1], true );
echo json_encode( array( 'html' => call_user_func( $potluck_log['shortcode'][1], $attributes ), 'log' => $potluck_log ) );
