-- Goods to begin with. A table that has rows is left alone.

INSERT INTO category (id, categoryName)
	SELECT * FROM (
		SELECT 1 AS id, '运动鞋' AS categoryName
		UNION ALL SELECT 2, '运动服'
		UNION ALL SELECT 3, '球类'
		UNION ALL SELECT 4, '装备'
	) AS seed WHERE NOT EXISTS (SELECT 1 FROM category);

INSERT INTO brand (id, brandName, categoryId, brandLogo, hot)
	SELECT * FROM (
		SELECT 1 AS id, '追风' AS brandName, 1 AS categoryId, '/static/brands/bolt.svg' AS brandLogo, 1 AS hot
		UNION ALL SELECT 2, '山径', 1, '/static/brands/peak.svg', 0
		UNION ALL SELECT 3, '晨跑', 2, '/static/brands/arrow.svg', 1
		UNION ALL SELECT 4, '暖阳', 2, '/static/brands/leaf.svg', 0
		UNION ALL SELECT 5, '飞球', 3, '/static/brands/star.svg', 1
		UNION ALL SELECT 6, '海浪', 1, '/static/brands/wave.svg', 0
		UNION ALL SELECT 7, '双环', 4, '/static/brands/ring.svg', 1
		UNION ALL SELECT 8, '小狐', 4, '/static/brands/fox.svg', 0
	) AS seed WHERE NOT EXISTS (SELECT 1 FROM brand);

INSERT INTO product (id, name, fen, image, brandId, categoryId)
	SELECT * FROM (
		SELECT 1 AS id, '轻便跑鞋' AS name, 19900 AS fen, '/static/goods/runner-red.svg' AS image, 1 AS brandId, 1 AS categoryId
		UNION ALL SELECT 2, '缓震跑鞋', 32900, '/static/goods/runner-blue.svg', 1, 1
		UNION ALL SELECT 3, '短袖运动衫', 8900, '/static/goods/tee-green.svg', 3, 2
		UNION ALL SELECT 4, '防风外套', 25900, '/static/goods/jacket-blue.svg', 4, 2
		UNION ALL SELECT 5, '运动袜', 1200, '/static/goods/socks-orange.svg', 8, 4
		UNION ALL SELECT 6, '篮球', 12900, '/static/goods/basketball.svg', 5, 3
		UNION ALL SELECT 7, '足球', 9900, '/static/goods/football.svg', 5, 3
		UNION ALL SELECT 8, '羽毛球拍', 15900, '/static/goods/racket.svg', 5, 3
		UNION ALL SELECT 9, '高帮篮球鞋', 36900, '/static/goods/hightop-dark.svg', 1, 1
		UNION ALL SELECT 10, '高帮板鞋', 26900, '/static/goods/hightop-violet.svg', 6, 1
		UNION ALL SELECT 11, '防滑登山靴', 45900, '/static/goods/boot-sand.svg', 2, 1
		UNION ALL SELECT 12, '帆布鞋', 12900, '/static/goods/canvas-teal.svg', 6, 1
		UNION ALL SELECT 13, '沙滩拖鞋', 5900, '/static/goods/slide-blue.svg', 6, 1
		UNION ALL SELECT 14, '训练短裤', 7900, '/static/goods/shorts-dark.svg', 3, 2
		UNION ALL SELECT 15, '棒球帽', 4900, '/static/goods/cap-red.svg', 7, 4
		UNION ALL SELECT 16, '双肩背包', 18900, '/static/goods/backpack-teal.svg', 7, 4
		UNION ALL SELECT 17, '运动水壶', 3900, '/static/goods/bottle-violet.svg', 7, 4
	) AS seed WHERE NOT EXISTS (SELECT 1 FROM product);
